FROM centos:7
MAINTAINER The Team "team@example.com"
RUN yum -y update; yum clean all
RUN yum -y install httpd; yum clean all; systemctl enable httpd.service
EXPOSE 80
CMD ["/usr/sbin/init"]
