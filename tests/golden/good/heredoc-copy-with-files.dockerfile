FROM debian
COPY a.txt <<b.txt c.txt /dir/
b
b.txt
