FROM host
RUN true
