import { describe, expect, test } from 'vitest'
import { publishedPorts } from './published.ts'

describe('-p', () => {
  test('means loopback unless an address is written', () => {
    expect(publishedPorts(['8080:80', '0.0.0.0:9000:9000', '[::1]:7000:70'])).toEqual([
      { address: '127.0.0.1', port: 8080, guestPort: 80 },
      { address: '0.0.0.0', port: 9000, guestPort: 9000 },
      { address: '::1', port: 7000, guestPort: 70 },
    ])
  })

  test.each(['', '80', '80:', ':80', '0:80', '80:65536', 'host:80:80', '1.2.3:80:80', '80:80/udp', '1:2:3:4', '-1:80'])(
    '`%s` is refused',
    (text) => {
      expect(() => publishedPorts([text])).toThrow(/is not a port to publish/)
    },
  )

  test('the same host port twice is refused', () => {
    expect(() => publishedPorts(['80:1', '80:2'])).toThrow(/twice/)
  })
})
