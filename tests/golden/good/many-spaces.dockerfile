FROM    debian    AS    base
ENV     A=1     B=2
COPY    a    b    /c/
