"""Is reached from outside without a server of its own: says to each visitor where it came from, until one says stop."""

import authority

with authority.connect() as gate, gate.net.listen(8000) as listener:
    print(listener.address, flush=True)
    for stream in listener:
        said = stream.read().decode()
        stream.write(f"{stream.address} said {said}")
        stream.end()
        if said == "stop":
            break
