"""Why a connection failed, in the words of Go's network packages, which Docker's users search the web for."""

import ssl


def why(error: BaseException) -> str:
    """One line about a failure of urllib3 or of the operating system."""
    import urllib3.exceptions as u

    match error:
        case u.NameResolutionError():
            return f"dial tcp: lookup {_host(error)}: no such host"
        case u.NewConnectionError():
            return f"dial tcp {_place(error)}: connect: {_cause(error)}"
        case u.ConnectTimeoutError():
            return "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"
        case u.ReadTimeoutError() | TimeoutError():
            return "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
        case u.ProxyError():
            return f"proxyconnect tcp: {why(error.original_error)}"
        case u.SSLError() if error.args and isinstance(error.args[0], BaseException):
            return why(error.args[0])
        case ssl.SSLCertVerificationError():
            return f"tls: failed to verify certificate: x509: {_verdict(error)}"
        case ssl.SSLError():
            return _tls(error)
        case u.IncompleteRead():
            return "unexpected EOF"
        case u.ProtocolError() if len(error.args) > 1 and isinstance(error.args[1], BaseException):
            return why(error.args[1])
        case ConnectionResetError():
            return "read: connection reset by peer"
        case _ if type(error).__name__ in ("RemoteDisconnected", "IncompleteRead"):
            return "EOF"
        case OSError() if error.strerror:
            return error.strerror.lower()
        case _:
            return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _host(error: BaseException) -> str:
    connection = getattr(error, "_host", None)
    return str(connection or "the registry")


def _place(error: BaseException) -> str:
    connection = getattr(error, "conn", None)
    return f"{getattr(connection, 'host', '')}:{getattr(connection, 'port', '')}"


def _cause(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(error).rpartition(": ")[2].lower()


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message
    if "self-signed" in said or "self signed" in said or "unable to get local issuer" in said:
        return "certificate signed by unknown authority"
    if "expired" in said:
        return "certificate has expired or is not yet valid"
    return said.rstrip(".")


def _tls(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "http: server gave HTTP response to HTTPS client"
    if reason in ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"):
        return "remote error: tls: certificate required"
    return f"remote error: tls: {reason.lower().replace('_', ' ')}" if reason else f"tls: {error.strerror or error}"
