"""Programs of a few instructions: they make one system call and exit with its error number (0 for success).

Written as bytes because a test must reach calls that no shell offers, with numbers that no library would use, and the
machine that runs the tests has no compiler.
"""

import struct

_BASE = 0x400000
_HEADERS_64 = 64 + 56
_HEADERS_32 = 52 + 32


def call_64(number: int, *args: int) -> bytes:
    """An x86-64 program: `syscall` with this number in rax."""
    code = b""
    registers = (
        b"\x48\xbf",
        b"\x48\xbe",
        b"\x48\xba",
        b"\x49\xba",
        b"\x49\xb8",
        b"\x49\xb9",
    )  # mov rdi, rsi, rdx, r10, r8, r9
    for register, value in zip(registers, args, strict=False):
        code += register + struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF)
    code += b"\xb8" + struct.pack("<I", number)  # mov eax
    code += b"\x0f\x05"  # syscall
    code += _exit_with_error(b"\x48\x85\xc0", b"\xb8\x3c\x00\x00\x00\x0f\x05")  # test rax, rax; exit is 60
    return _elf_64(code)


def call_64_by_int80(number: int, *args: int) -> bytes:
    """An x86-64 program that enters the kernel through the 32-bit door."""
    return _elf_64(_int80(number, args))


def call_32(number: int, *args: int) -> bytes:
    """An i386 program: `int 0x80`."""
    return _elf_32(_int80(number, args))


def _int80(number: int, args: tuple[int, ...]) -> bytes:
    code = b""
    for register, value in zip(
        (b"\xbb", b"\xb9", b"\xba", b"\xbe", b"\xbf"), args, strict=False
    ):  # ebx, ecx, edx, esi, edi
        code += register + struct.pack("<I", value & 0xFFFFFFFF)
    code += b"\xb8" + struct.pack("<I", number) + b"\xcd\x80"
    return code + _exit_with_error(b"\x85\xc0", b"\x89\xfb\xb8\x01\x00\x00\x00\xcd\x80")  # mov ebx, edi; exit is 1


def _exit_with_error(test: bytes, leave: bytes) -> bytes:
    """exit(result < 0 ? -result : 0), with the number in edi."""
    negate = b"\x89\xc7\xf7\xdf"  # mov edi, eax; neg edi
    return (
        test + b"\x78\x04" + b"\x31\xff" + b"\xeb" + bytes([len(negate)]) + negate + leave
    )  # js +4; xor edi, edi; jmp


def _elf_64(code: bytes) -> bytes:
    size = _HEADERS_64 + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _BASE + _HEADERS_64, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return identity + header + segment + code


def _elf_32(code: bytes) -> bytes:
    size = _HEADERS_32 + len(code)
    identity = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, _BASE + _HEADERS_32, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, _BASE, _BASE, size, size, 5, 0x1000)
    return identity + header + segment + code
