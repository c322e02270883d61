FROM busybox AS deps
RUN printf '#!/bin/sh\nmkdir -p node_modules/left && echo left > node_modules/left/index.js\n' > /bin/yarn && chmod +x /bin/yarn
WORKDIR /app
COPY web/package.json web/package-lock.json ./
RUN yarn install --frozen-lockfile

FROM deps AS builder
COPY web/ .
ENV NEXT_TELEMETRY_DISABLED 1
RUN mkdir -p .next/static && cat src/index.js src/lib/util.js > .next/server.js && cp public/css/site.css .next/static

FROM busybox AS runner
WORKDIR /app
ENV NODE_ENV production
RUN echo "nodejs:x:1001:" >> /etc/group
RUN echo "nextjs:x:1001:1001::/home/nextjs:/bin/false" >> /etc/passwd
COPY --from=builder /app/public ./public
COPY --from=builder --chown=nextjs:nodejs /app/.next ./
COPY --from=builder --chown=nextjs:nodejs /app/.next/static ./.next/static
USER nextjs
EXPOSE 3000
ENV PORT 3000
CMD ["node", "server.js"]
