ARG TERRAFORM_VERSION=1.7.5
FROM hashicorp/terraform:${TERRAFORM_VERSION} AS terraform
FROM alpine:3.19
COPY --from=terraform /bin/terraform /usr/local/bin/terraform
WORKDIR /work
ENTRYPOINT ["terraform"]
CMD ["version"]
