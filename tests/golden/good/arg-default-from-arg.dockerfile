ARG A=1
ARG B=${A}2
ARG C=${B}3
FROM image:$C
