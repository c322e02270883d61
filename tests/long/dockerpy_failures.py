"""Which of docker-py's integration tests fail, and why."""

from tests.long.suites import Expected

SWARM = "swarm mode is no part of Sampan yet"
PLUGINS = "plugins: issue 11"
REGISTRY = "pulls from Docker Hub: needs the internet, and a registry client"
DOCKER = "fails with Docker 28, too"

NO_ALIAS = DOCKER + ": the short id is no alias since API 1.45"

_CAUSES: tuple[tuple[str, str], ...] = (
    *(
        (f"{module}_test::*", SWARM)
        for module in ("api_config", "api_secret", "api_service", "models_services", "models_nodes")
    ),
    ("api_swarm_test::SwarmTest::test_*", SWARM),
    ("models_swarm_test::SwarmTest::test_*", SWARM),
    *(
        (f"api_network_test::TestNetworks::test_create_{name}", SWARM)
        for name in ("inspect_network_with_scope", "network_attachable", "network_ingress")
    ),
    *(
        (f"models_containers_test::ContainerCollectionTest::test_run_with_networking_config{name}", NO_ALIAS)
        for name in ("", "_only_undeclared_network")
    ),
    ("api_plugin_test::PluginTest::test_*", PLUGINS),
    ("api_image_test::PullImageTest::*", REGISTRY),
    ("api_image_test::ImportImageTest::test_get_load_image", REGISTRY),
    ("api_image_test::PruneImagesTest::test_prune_images", REGISTRY),
    ("api_image_test::InspectDistributionTest::test_inspect_distribution", REGISTRY),
    ("models_containers_test::ContainerCollectionTest::test_run_with_image_that_does_not_exist", REGISTRY),
    ("models_images_test::ImageCollectionTest::test_list*", REGISTRY),
    ("models_images_test::ImageCollectionTest::test_pull*", REGISTRY),
    ("models_images_test::ImageTest::test_tag_and_remove", REGISTRY),
    (
        "api_container_test::AttachContainerTest::test_run_container_reading_socket_ws",
        DOCKER + ": docker-py has no websockets over a unix socket",
    ),
    (
        "models_containers_test::ContainerTest::test_exec_run_failed",
        DOCKER + ": a program that is not there is 127 since release 23",
    ),
)

_SOMETIMES = (
    # The log is asked for as soon as the start has been answered.
    ("api_build_test::BuildTest::test_build_*_context_*", "the program has said nothing yet on a busy machine"),
)

EXPECTED = (
    *(Expected(pattern, cause) for pattern, cause in _CAUSES),
    *(Expected(pattern, cause, always=False) for pattern, cause in _SOMETIMES),
)
