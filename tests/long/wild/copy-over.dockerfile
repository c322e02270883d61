FROM busybox
RUN mkdir -p /d/app && echo old > /d/main.py && echo stays > /d/other && ln -s other /d/__init__.py
COPY app /d
RUN ln -s /d /link && mkdir /real && ln -s ../real /d/away
COPY conf/my.cnf /link/
COPY conf /link/away/
RUN rm -r /d/tests && rm /d/other
COPY data/seed.sql /d/other
