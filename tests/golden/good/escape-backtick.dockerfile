# escape=`
FROM windows
COPY testfile.txt c:\
RUN dir c:\
ENV A=`$B P=c:\x
