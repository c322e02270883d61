# escape=`
FROM windows
RUN powershell -Command `
    $x = 1; `
    Write-Host `"hi`"
