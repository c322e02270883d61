FROM	debian	AS	t
ENV	A=1	B=2
