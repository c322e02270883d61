FROM node:20
WORKDIR /app
COPY package.json .
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm install
COPY . .
CMD ["node", "index.js"]
