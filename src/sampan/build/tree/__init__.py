"""File trees of a build: contexts that arrive, what COPY, ADD and WORKDIR write, what is fetched from elsewhere.

    tar stream, URL, git ──> Context ──digest──> the content of a ContextSource's key
                                     └─tree────> SourceTree ──┐
    another stage, documents, a URL, git ──────> SourceTree ──┴─ apply_copy ──> the target's tree

Belongs here: everything that reads or writes files for a build. Does not belong: which step runs when, layers, HTTP of ours.
Every tree may be hostile: it is walked and changed by descriptors, its links are resolved by the kernel inside its own root
(openat2(2); CVE-2024-23651, CVE-2024-23652, CVE-2024-23653). All functions block, and any thread may call them.
"""
