FROM debian
ENV E=
ENV A=${X:-colon} B=${X-plain} C=${E:-colon} D=${E-plain}
