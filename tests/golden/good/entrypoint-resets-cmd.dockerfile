FROM debian AS base
CMD ["argument"]
FROM base
ENTRYPOINT ["program"]
