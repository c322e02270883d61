FROM debian
# check=skip=JSONArgsRecommended
CMD echo
# check=skip=LegacyKeyValueFormat,SecretsUsedInArgOrEnv
ENV TOKEN x
ENV TOKEN y
