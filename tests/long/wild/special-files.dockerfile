FROM busybox
RUN mknod /null2 c 1 3 && mkfifo /fifo && ln /null2 /null3
RUN echo x > /x && ln /x /y && ln -s x /z && ln -s /nowhere /dangling && chmod 4755 /x && mkdir -m 1777 /sticky
RUN rm /z && mkdir /z && touch /z/in
RUN rm -r /home && echo file > /home
RUN rm -rf /var/www && mkdir /var/www && echo new > /var/www/new
COPY data/one data/two /links/
COPY conf/capable /capable
