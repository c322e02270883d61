FROM debian
ENV A=\$HOME B="\$HOME \"x\" \\" C='\n' D=a\\b
