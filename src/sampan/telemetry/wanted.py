"""Whether the environment asks for traces, in the words of OpenTelemetry's specification ("Environment Variable Specification")."""

from collections.abc import Mapping

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"


def traces(environment: Mapping[str, str]) -> bool:
    """Whether spans are to be sent. Raises ValueError, with what to do, for an exporter or a protocol that is not there.

    As in dockerd they are where an endpoint is named, and where OTEL_TRACES_EXPORTER is "otlp"; nowhere else.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter == "none" or not (exporter or any(environment.get(name) for name in _ENDPOINTS)):
        return False
    if exporter not in ("", "otlp"):
        raise ValueError(f"OTEL_TRACES_EXPORTER={exporter} is not implemented: otlp or none")
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _HTTP)
    if protocol != _HTTP:
        raise ValueError(
            f"{protocol} is not implemented as the protocol of OTLP: set OTEL_EXPORTER_OTLP_PROTOCOL={_HTTP}"
        )
    return True
