FROM debian
ENV S=set
ENV A="${S:?must be set}" B=${S?unset}
