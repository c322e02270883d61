FROM debian
MAINTAINER Jane Doe <jane@example.com>
