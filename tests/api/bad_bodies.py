"""What a create or start is asked for that Docker refuses: the body, the status, the message.

The facts are moby 28's and, where nothing has changed since, those of Debian's 20.10 on this table. What Docker leaves to the
start or to the kernel, and is refused earlier here (ulimits, device rules, names that are none), has Docker's words where it
has any.
"""

Body = dict[str, object]
CHAIN = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
)


def host(**members: object) -> Body:
    """A body that has only members of HostConfig."""
    return {"HostConfig": members}


CREATES: tuple[tuple[Body, int, str], ...] = (
    ({"WorkingDir": "a/b"}, 400, "the working directory 'a/b' is invalid, it needs to be an absolute path"),
    ({"StopSignal": "NOPE"}, 400, "invalid signal: NOPE"),
    ({"Env": ["=x"]}, 400, "invalid environment variable: =x"),
    ({"Env": ["a\x00b"]}, 400, "invalid environment variable: a\x00b: contains a NUL"),
    ({"Env": [""]}, 400, "invalid environment variable: "),
    ({"Hostname": "a b"}, 400, "invalid hostname: 'a b'"),
    ({"Domainname": "x y"}, 400, "invalid hostname: '.x y'"),
    (
        {"Volumes": {"rel": {}}},
        400,
        "invalid mount config for type \"volume\": invalid mount path: 'rel' mount path must be absolute",
    ),
    (
        {"Volumes": {"/": {}}},
        400,
        "invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
    ),
    ({"Volumes": {"": {}}}, 400, 'invalid mount config for type "volume": field Target must not be empty'),
    (
        {"Volumes": {"/a/../..": {}}},
        400,
        "invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
    ),
    ({"Healthcheck": {"Interval": 5}}, 400, "Interval in Healthcheck cannot be less than 1ms"),
    ({"Healthcheck": {"Timeout": 5}}, 400, "Timeout in Healthcheck cannot be less than 1ms"),
    ({"Healthcheck": {"StartPeriod": 5}}, 400, "StartPeriod in Healthcheck cannot be less than 1ms"),
    ({"Healthcheck": {"Retries": -1}}, 400, "Retries in Healthcheck cannot be negative"),
    ({"Healthcheck": {"Interval": -1}}, 400, "Interval in Healthcheck cannot be less than 1ms"),
    ({"Image": "Bad:Image:x"}, 400, "invalid reference format: repository name (library/Bad) must be lowercase"),
    ({"Image": "busybox@sha256:12"}, 400, "invalid reference format"),
    ({"Image": " "}, 400, "invalid reference format"),
    (host(Memory=1), 400, "Minimum memory limit allowed is 6MB"),
    (host(Memory=-1), 400, "Minimum memory limit allowed is 6MB"),
    (host(MemorySwap=5), 400, "You should always set the Memory limit when using Memoryswap limit, see usage"),
    (
        host(Memory=67108864, MemorySwap=1048576),
        400,
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    ),
    (host(MemoryReservation=1), 400, "Minimum memory reservation allowed is 6MB"),
    (
        host(Memory=67108864, MemoryReservation=134217728),
        400,
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    ),
    (host(MemorySwappiness=101), 400, "Invalid value: 101, valid memory swappiness range is 0-100"),
    (host(MemorySwappiness=-2), 400, "Invalid value: -2, valid memory swappiness range is 0-100"),
    (host(OomScoreAdj=1001), 400, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
    (host(OomScoreAdj=-1001), 400, "Invalid value -1001, range for oom score adj is [-1000, 1000]"),
    (host(CpuShares=-1), 400, "invalid CPU shares (-1): value must be a positive integer"),
    (host(CpuPeriod=1), 400, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
    (host(CpuPeriod=-1), 400, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
    (
        host(CpuPeriod=10000000),
        400,
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ),
    (host(CpuQuota=1), 400, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    (host(CpusetCpus="a"), 400, "Invalid value a for cpuset cpus: invalid format: a"),
    (host(CpusetCpus="1-0"), 400, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
    (host(CpusetCpus=","), 400, "Invalid value , for cpuset cpus: invalid format: ,"),
    (host(CpusetMems="x"), 400, "Invalid value x for cpuset mems: invalid format: x"),
    (host(CpuCount=1), 400, "invalid option: CPU count is not supported on linux"),
    (host(CpuCount=-1), 400, "invalid option: CPU count is not supported on linux"),
    (host(IOMaximumBandwidth=1), 400, "invalid option: QoS maximum bandwidth configuration is not supported on linux"),
    (host(IOMaximumIOps=1), 400, "invalid option: QoS maximum IOPs configuration is not supported on linux"),
    (host(ShmSize=-1), 400, "SHM size can not be less than 0"),
    (
        host(AutoRemove=True, RestartPolicy={"Name": "always"}),
        400,
        "can't create 'AutoRemove' container with restart policy",
    ),
    (
        host(RestartPolicy={"Name": "sometimes"}),
        400,
        "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
    ),
    (
        host(RestartPolicy={"Name": "always", "MaximumRetryCount": 1}),
        400,
        "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ),
    (
        host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": -1}),
        400,
        "invalid restart policy: maximum retry count cannot be negative",
    ),
    (
        host(RestartPolicy={"Name": "no", "MaximumRetryCount": 1}),
        400,
        "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ),
    (
        host(RestartPolicy={"Name": "unless-stopped", "MaximumRetryCount": -3}),
        400,
        "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative",
    ),
    (host(CapAdd=["NOPE"]), 400, 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
    (host(CapDrop=["NOPE"]), 400, 'invalid CapDrop: unknown capability: "CAP_NOPE"'),
    (host(CapAdd=["ALL", "NOPE"]), 400, 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
    (host(CapAdd=[""]), 400, 'invalid CapAdd: unknown capability: "CAP_"'),
    (host(SecurityOpt=["nonsense"]), 400, 'invalid --security-opt 1: "nonsense"'),
    (host(SecurityOpt=["x=y"]), 400, 'invalid --security-opt 2: "x=y"'),
    (host(SecurityOpt=["no-new-privileges=maybe"]), 400, 'invalid --security-opt 2: "no-new-privileges=maybe"'),
    (
        host(SecurityOpt=["label=foo"]),
        400,
        "Bad label option \"foo\", valid options 'disable' or \n'user, role, level, type, filetype' followed by ':' and a value",
    ),
    (host(SecurityOpt=[""]), 400, 'invalid --security-opt 1: ""'),
    (host(NetworkMode="container:"), 400, "invalid network mode: invalid container format container:<name|id>"),
    (host(NetworkMode="container"), 400, "invalid network mode: invalid container format container:<name|id>"),
    (
        {"Hostname": "h", "HostConfig": {"NetworkMode": "container:c1"}},
        400,
        "conflicting options: hostname and the network mode",
    ),
    (host(NetworkMode="container:c1", Dns=["1.1.1.1"]), 400, "conflicting options: dns and the network mode"),
    (
        host(NetworkMode="container:c1", ExtraHosts=["a:1.1.1.1"]),
        400,
        "conflicting options: custom host-to-IP mapping and the network mode",
    ),
    (
        host(NetworkMode="container:c1", PublishAllPorts=True),
        400,
        "conflicting options: port publishing and the container type network mode",
    ),
    (
        {"MacAddress": "02:42:ac:11:00:02", "HostConfig": {"NetworkMode": "container:c1"}},
        400,
        "conflicting options: mac-address and the network mode",
    ),
    (
        {"ExposedPorts": {"80/tcp": {}}, "HostConfig": {"NetworkMode": "container:c1"}},
        400,
        "conflicting options: port exposing and the container type network mode",
    ),
    (
        {"MacAddress": "02:42:ac:11:00:02", "HostConfig": {"NetworkMode": "host"}},
        400,
        "conflicting options: mac-address and the network mode",
    ),
    (host(PortBindings={"80/foo": [{}]}), 400, "invalid proto: foo"),
    (host(PortBindings={"abc": [{}]}), 400, 'invalid port specification: "abc"'),
    (host(PortBindings={"70000/tcp": [{}]}), 400, 'invalid port specification: "70000"'),
    (host(PortBindings={"80/tcp": [{"HostPort": "abc"}]}), 400, 'invalid port specification: "abc"'),
    (host(PortBindings={"80/tcp": [{"HostPort": "70000"}]}), 400, 'invalid port specification: "70000"'),
    (host(PortBindings={"80/tcp": [{"HostPort": "90-80"}]}), 400, 'invalid port specification: "90-80"'),
    (host(PortBindings={"80/tcp": [{"HostIp": "x", "HostPort": "80"}]}), 400, "invalid IP address: x"),
    (host(PortBindings={"": [{}]}), 400, 'invalid port specification: ""'),
    (host(PortBindings={"80/tcp": [{"HostPort": "-1"}]}), 400, 'invalid port specification: "-1"'),
    (host(PortBindings={"-5/tcp": [{}]}), 400, 'invalid port specification: "-5"'),
    (host(PortBindings={"80-90/tcp": [{"HostPort": "80-85"}]}), 400, 'invalid port specification: "80-90"'),
    (host(IpcMode="what"), 400, "invalid IPC mode: what"),
    (host(IpcMode="container:"), 400, "invalid IPC mode: container:"),
    (host(IpcMode="container:nosuch"), 400, "No such container: nosuch"),
    (host(PidMode="what"), 400, "invalid PID mode: what"),
    (host(PidMode="container:"), 400, "invalid PID mode: container:"),
    (host(PidMode="container:nosuch"), 400, "No such container: nosuch"),
    (host(UTSMode="what"), 400, "invalid UTS mode: what"),
    (host(UTSMode="container:x"), 400, "invalid UTS mode: container:x"),
    ({"Hostname": "h", "HostConfig": {"UTSMode": "host"}}, 400, "conflicting options: hostname and the UTS mode"),
    (host(CgroupnsMode="x"), 400, "invalid cgroup namespace mode: x"),
    (host(UsernsMode="x"), 400, "invalid userns mode: x"),
    (host(Isolation="hyperv"), 400, "invalid isolation (hyperv): linux only supports 'default'"),
    (host(Runtime="kata"), 400, "unknown or invalid runtime name: kata"),
    (host(CgroupParent="/../x"), 400, "invalid cgroup parent: /../x"),
    (host(ExtraHosts=["a"]), 400, 'bad format for add-host: "a"'),
    (host(ExtraHosts=["a:b"]), 400, 'invalid IP address in add-host: "b"'),
    (host(ExtraHosts=[":1.1.1.1"]), 400, 'bad format for add-host: ":1.1.1.1"'),
    (host(ExtraHosts=["a:"]), 400, 'invalid IP address in add-host: ""'),
    (host(ExtraHosts=["a b:1.1.1.1"]), 400, "bad format for add-host: 'a b:1.1.1.1'"),
    (host(Dns=["x"]), 400, "invalid IP address: x"),
    (host(Dns=[""]), 400, "invalid IP address: "),
    (host(DnsSearch=["a b"]), 400, "'a b' is not a valid domain"),
    (host(DnsOptions=["x y"]), 400, "invalid DNS option: 'x y'"),
    (host(DeviceCgroupRules=["x"]), 400, "invalid device cgroup rule format: 'x'"),
    (host(DeviceCgroupRules=["c 1:3 z"]), 400, "invalid device cgroup rule format: 'c 1:3 z'"),
    (host(DeviceCgroupRules=[""]), 400, "invalid device cgroup rule format: ''"),
    (host(Ulimits=[{"Name": "nosuch", "Soft": 1, "Hard": 2}]), 400, "invalid ulimit type: nosuch"),
    (
        host(Ulimits=[{"Name": "nofile", "Soft": 3, "Hard": 2}]),
        400,
        "ulimit soft limit must be less than or equal to hard limit: 3 > 2",
    ),
    (host(Ulimits=[{"Name": "nofile", "Soft": -5, "Hard": 2}]), 400, "ulimit nofile: -5 is out of range"),
    (host(Ulimits=[{}]), 400, "invalid ulimit type: "),
    (
        host(Ulimits=[{"Name": "nofile", "Soft": -1, "Hard": 5}]),
        400,
        "ulimit soft limit must be less than or equal to hard limit: -1 (unlimited) > 5",
    ),
    (host(Tmpfs={"/": ""}), 400, "invalid specification: destination can't be '/'"),
    (host(Tmpfs={"x": ""}), 400, "invalid mount path: 'x' mount path must be absolute"),
    (host(Tmpfs={"/x": "nosuch"}), 400, 'Invalid tmpfs option ["nosuch"]'),
    (host(Tmpfs={"": ""}), 400, "invalid mount path: '' mount path must be absolute"),
    (host(Binds=[""]), 400, "invalid volume specification: ''"),
    (
        host(Binds=["/etc:rel"]),
        400,
        "invalid volume specification: '/etc:rel': invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
    ),
    (
        host(Binds=["/etc:/"]),
        400,
        "invalid volume specification: '/etc:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
    ),
    (host(Binds=["/etc:/x:nosuch"]), 400, "invalid mode: nosuch"),
    (host(Binds=["/etc:/x:ro,rw"]), 400, "invalid mode: ro,rw"),
    (host(Binds=["/etc:/x", "/tmp:/x"]), 400, "Duplicate mount point: /x"),
    (host(Binds=["/etc:/x:ro:z"]), 400, "invalid volume specification: '/etc:/x:ro:z'"),
    (
        host(Binds=["v:/x:shared"]),
        400,
        "invalid volume specification: 'v:/x:shared': invalid mount config for type \"volume\": field BindOptions must not be specified",
    ),
    (
        host(Binds=["/etc:/x:nocopy"]),
        400,
        "invalid volume specification: '/etc:/x:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified",
    ),
    (host(Binds=[":/x"]), 400, "invalid volume specification: ':/x'"),
    (host(Binds=["v:"]), 400, "invalid volume specification: 'v:'"),
    (
        host(Binds=["a:/x"]),
        400,
        "create a: volume name is too short, names should be at least two alphanumeric characters",
    ),
    (
        host(Binds=["rel/path:/x"]),
        400,
        'create rel/path: "rel/path" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    ),
    (host(VolumesFrom=["nosuch"]), 400, "No such container: nosuch"),
    (host(VolumesFrom=[""]), 400, "volumes-from specification cannot be an empty string"),
    (host(VolumesFrom=["c1:nosuch"]), 400, "invalid mode: nosuch"),
    (host(Mounts=[{}]), 400, 'invalid mount config for type "": field Target must not be empty'),
    (host(Mounts=[{"Type": "foo", "Target": "/x"}]), 400, 'invalid mount config for type "foo": mount type unknown'),
    (
        host(Mounts=[{"Type": "bind", "Target": "/x"}]),
        400,
        'invalid mount config for type "bind": field Source must not be empty',
    ),
    (
        host(Mounts=[{"Type": "bind", "Source": "/no/such", "Target": "/x"}]),
        400,
        'invalid mount config for type "bind": bind source path does not exist: /no/such',
    ),
    (
        host(Mounts=[{"Type": "bind", "Source": "rel", "Target": "/x"}]),
        400,
        "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
    ),
    (
        host(Mounts=[{"Type": "bind", "Source": "/etc", "Target": "rel"}]),
        400,
        "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
    ),
    (
        host(Mounts=[{"Type": "bind", "Source": "/etc", "Target": "/"}]),
        400,
        "invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
    ),
    (
        host(Mounts=[{"Type": "bind", "Source": "/etc", "Target": "/x", "BindOptions": {"Propagation": "x"}}]),
        400,
        'invalid mount config for type "bind": invalid propagation mode: x',
    ),
    (
        host(Mounts=[{"Type": "volume", "Target": "/x", "ReadOnly": True}]),
        400,
        'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes',
    ),
    (
        host(Mounts=[{"Type": "volume", "Target": "/x", "BindOptions": {}}]),
        400,
        'invalid mount config for type "volume": field BindOptions must not be specified',
    ),
    (
        host(Mounts=[{"Type": "tmpfs", "Source": "/x", "Target": "/x"}]),
        400,
        'invalid mount config for type "tmpfs": field Source must not be specified',
    ),
    (
        host(Mounts=[{"Type": "tmpfs", "Target": "/x", "BindOptions": {}}]),
        400,
        'invalid mount config for type "tmpfs": field BindOptions must not be specified',
    ),
    (
        host(Mounts=[{"Type": "npipe", "Source": "x", "Target": "/x"}]),
        400,
        'invalid mount config for type "npipe": mount type unknown',
    ),
    (
        host(Mounts=[{"Type": "bind", "Source": "/etc", "Target": "/x"}, {"Type": "tmpfs", "Target": "/x"}]),
        400,
        "Duplicate mount point: /x",
    ),
    (
        host(
            Mounts=[
                {"Type": "volume", "Source": "v", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Name": "nosuch"}}}
            ]
        ),
        404,
        'create v: error looking up volume plugin nosuch: plugin "nosuch" not found',
    ),
    (
        host(VolumeDriver="nosuch", Binds=["zz:/x"]),
        404,
        'create zz: error looking up volume plugin nosuch: plugin "nosuch" not found',
    ),
    (
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": None}}},
        400,
        "invalid config for network bridge: EndpointsConfig is nil",
    ),
    ({"HostConfig": {}}, 400, "config cannot be empty in order to create a container"),
)

STARTS: tuple[tuple[Body, int, str], ...] = (
    ({"User": "a b"}, 500, "unable to find user a b: no matching entries in passwd file"),
    (host(SecurityOpt=["seccomp={"]), 500, "Decoding seccomp profile failed: Input data was truncated"),
    (
        host(SecurityOpt=["seccomp=/no/such"]),
        500,
        "Decoding seccomp profile failed: JSON is malformed: invalid character (byte 0)",
    ),
    (host(NetworkMode="nosuch"), 404, "failed to set up container networking: network nosuch not found"),
    (host(NetworkMode="container:nosuch"), 500, "joining network namespace of container: No such container: nosuch"),
    (host(GroupAdd=[""]), 500, "unable to find group : no matching entries in group file"),
    (host(GroupAdd=["nosuch"]), 500, "unable to find group nosuch: no matching entries in group file"),
    (
        host(Devices=[{"PathOnHost": "/no/such"}]),
        500,
        'error gathering device information while adding custom device "/no/such": no such file or directory',
    ),
    (
        host(Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "rel", "CgroupPermissions": "x"}]),
        500,
        "invalid device mode: x",
    ),
    (
        host(Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "x"}]),
        500,
        "invalid device mode: x",
    ),
    (
        host(Devices=[{}]),
        500,
        'error gathering device information while adding custom device "": no such file or directory',
    ),
    (
        host(Devices=[{"PathOnHost": "/etc/passwd", "PathInContainer": "/x", "CgroupPermissions": "rwm"}]),
        500,
        'error gathering device information while adding custom device "/etc/passwd": not a device node',
    ),
    (
        host(Sysctls={"kernel.hostname": "x"}),
        500,
        CHAIN + 'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field: unknown',
    ),
    (
        host(Sysctls={"nosuch": "x"}),
        500,
        CHAIN + 'sysctl "nosuch" is not in a separate kernel namespace: unknown',
    ),
    (
        host(Sysctls={"net.ipv4.ip_forward": "1"}, NetworkMode="host"),
        500,
        CHAIN + 'sysctl "net.ipv4.ip_forward" not allowed in host network namespace: unknown',
    ),
    (
        host(Sysctls={"kernel.msgmax": "1"}, IpcMode="host"),
        500,
        CHAIN + 'sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace: unknown',
    ),
    (
        host(Sysctls={"": "x"}),
        500,
        CHAIN + 'invalid sysctl "": unknown',
    ),
)
"""Taken by create, as in Docker, and refused when it is to run."""

WRONG_TYPES: tuple[Body, ...] = (
    {"StopTimeout": "x"},
    {"Cmd": 5},
    {"Cmd": [5]},
    {"Entrypoint": {}},
    {"Labels": ["x"]},
    {"Tty": "yes"},
    host(Memory=9223372036854775808),
    host(Memory=1.5),
    host(Memory="64m"),
    host(OomKillDisable="x"),
    host(CapAdd=5),
    host(ConsoleSize=[-1, 2]),
    host(Privileged="x"),
    {"NetworkingConfig": 5},
    {"HostConfig": 5},
)
"""400, `invalid JSON: …`; the rest of the text is the JSON library's."""
