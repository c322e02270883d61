# A comment at the top, which is no directive

FROM busybox

# between
RUN echo one \
    # a comment in the middle
    && echo two \

    && echo three > /three

   # indented
   RUN echo four > /four
CMD    [ "sh" ,  "-c" , "true" ]
