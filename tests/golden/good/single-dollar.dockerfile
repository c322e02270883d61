FROM debian
ENV A=$ B="a $ b" C=$$ D=$(x)
