# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
RUN New-Item -ItemType Directory C:\Example; `
    Invoke-WebRequest https://example.com/x.zip -OutFile C:\x.zip
WORKDIR C:\Example
CMD ["app.exe"]
