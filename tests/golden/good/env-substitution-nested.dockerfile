FROM debian
ENV B=b
ENV A=${X:-${Y:-${B}}} C=${X:-"quoted $B"}
