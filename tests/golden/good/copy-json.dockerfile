FROM debian
COPY ["with space.txt", "/dst dir/"]
