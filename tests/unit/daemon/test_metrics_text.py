"""Prometheus's text format: escapes, numbers, histograms."""

from sampan.daemon.metrics_text import Family, Histogram, family, render, single


def test_a_page() -> None:
    page = render(
        [
            single("a_total", "counter", "How many", 3),
            family("b", "gauge", "By name", [({"name": 'x"\\\n'}, 0.5), ({"name": "y", "z": ""}, 1 << 60)]),
            family("c", "gauge", "Nothing of this kind", []),
        ]
    )
    assert page.decode().split("\n") == [
        "# HELP a_total How many",
        "# TYPE a_total counter",
        "a_total 3",
        "# HELP b By name",
        "# TYPE b gauge",
        'b{name="x\\"\\\\\\n"} 0.5',
        f'b{{name="y",z=""}} {float(1 << 60)!r}',
        "",
    ]


def test_a_histogram_counts_upwards() -> None:
    histogram = Histogram()
    for seconds in (0.001, 0.005, 0.3, 20.0):
        histogram.observe(seconds)
    samples = histogram.samples({"action": "start"})
    buckets = {labels["le"]: value for suffix, labels, value in samples if suffix == "_bucket"}
    assert buckets["0.005"] == 2
    assert (buckets["0.25"], buckets["0.5"], buckets["10"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert samples[-2:] == [("_sum", {"action": "start"}, 20.306), ("_count", {"action": "start"}, 4)]
    assert b'h_bucket{action="start",le="+Inf"} 4' in render([Family("h", "histogram", "", tuple(samples))])
