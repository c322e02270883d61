   FROM debian
	RUN a
     RUN    b   c   
