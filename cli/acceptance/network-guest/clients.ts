/** Bun's own fetch and WebSocket: the argument is a URL. */
const url = process.argv[2] ?? ''
if (url.startsWith('ws')) {
  const socket = new WebSocket(url)
  socket.onopen = () => socket.send('bun')
  socket.onmessage = ({ data }) => {
    console.log(data)
    socket.close()
  }
  socket.onerror = () => process.exit(1)
} else {
  try {
    console.log(await (await fetch(url)).text())
  } catch (error) {
    console.log((error as { code?: string }).code)
    process.exit(1)
  }
}

export {}
