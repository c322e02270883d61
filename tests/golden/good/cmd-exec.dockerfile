FROM debian
CMD [ "echo" , "hello", "$NAME" ]
