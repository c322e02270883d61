"""Write the trees and errors as they are read now."""

from pathlib import Path

from tests.golden.rendering import error_of, render

if __name__ == "__main__":
    here = Path(__file__).parent
    for file in sorted((here / "good").glob("*.dockerfile")):
        file.with_suffix(".tree").write_text(render(file.read_bytes().decode()))
    for file in sorted((here / "wrong").glob("*.dockerfile")):
        file.with_suffix(".error").write_text(error_of(file.read_bytes().decode()))
