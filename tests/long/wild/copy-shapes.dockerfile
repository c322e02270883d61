FROM busybox
COPY app /dir
COPY app /dir/
COPY app/ /dir2
COPY app/. /dir3
COPY app/main.py /file
COPY app/main.py /dir4/
COPY app/main.py app/__init__.py /dir5/
COPY app/*.py /dir6/
COPY app/m?in.py /dir7/renamed
COPY ["with space.txt", "ünïcode.txt", "/dir8/"]
COPY app/../conf /dir9
COPY current link-to-file /dir10/
COPY . /all
