# escape=`
FROM busybox
ENV WINDOWS=C:\path\to
RUN echo one > /one && `
    echo two > /two
COPY app/main.py /back\slash
LABEL a="b`"c"
