FROM debian
ENV S=set E=
ENV A=${S:+yes} B=${X:+yes} C=${E:+yes} D=${E+yes} F=${X+yes}
