FROM debian
RUN <<'EOF'
echo "$HOME"
EOF
