FROM busybox AS b
FROM debian
COPY --from=b --chown=app:app --chmod=u=rwX,go=rX --link --exclude=*.md --exclude=**/test --parents a/b /c/
