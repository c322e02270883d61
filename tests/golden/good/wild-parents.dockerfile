# syntax=docker/dockerfile:1-labs
FROM node AS deps
WORKDIR /app
COPY --parents packages/*/package.json ./
COPY --parents --exclude=**/node_modules ./apps/./web/ ./
