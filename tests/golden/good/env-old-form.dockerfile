FROM debian
ENV NAME the rest of "the line" is $HOME
