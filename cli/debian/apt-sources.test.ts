import { describe, expect, test } from 'vitest'
import { debianSources, takenSettings, writeSources } from './apt-sources.ts'

const deb822 = (text: string) => debianSources([{ name: 'x.sources', text }])
const oneLine = (text: string) => debianSources([{ name: 'sources.list', text }])

describe('the host’s Debian sources', () => {
  test('deb822, with comments and continued lines', () => {
    const text = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: mirror+file:///etc/apt/mirrors/debian-security.list
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg`
    expect(deb822(text)).toMatchObject([
      { uris: ['http://mirror.example/debian'], suites: ['bookworm', 'bookworm-updates'] },
      { uris: ['mirror+file:///etc/apt/mirrors/debian-security.list'], suites: ['bookworm-security'] },
    ])
  })

  test('one line each, with and without options', () => {
    const text = `deb http://mirror.example/debian/ trixie main non-free-firmware
# deb http://off.example/debian trixie main
deb-src http://mirror.example/debian trixie main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://other.example/d trixie-security main # why`
    expect(oneLine(text)).toMatchObject([
      { uris: ['http://mirror.example/debian/'], suites: ['trixie'], signedBy: null },
      { uris: ['https://other.example/d'], suites: ['trixie-security'], signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg' },
    ])
  })

  test.each([
    ['a vendor below /debian', 'deb https://vendor.example/debian/12/prod bookworm main'],
    ['a suite like Debian’s', 'deb https://browser.example/linux/deb stable main'],
    ['a foreign component', 'deb https://vendor.example/linux/debian bookworm stable'],
    ['backports', 'deb http://mirror.example/debian bookworm-backports main'],
    ['another distribution', 'deb http://archive.example/ubuntu noble main'],
    ['rubbish', 'deb'],
  ])('%s is not taken', (_, line) => {
    expect(oneLine(line)).toEqual([])
  })

  test('a disabled stanza is not taken', () => {
    expect(deb822('Types: deb\nEnabled: no\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main')).toEqual([])
  })

  test('what is written is read again as the same', () => {
    const sources = [
      {
        uris: ['http://m.example/debian'],
        suites: ['trixie', 'trixie-updates'],
        signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
      },
    ]
    expect(deb822(writeSources(sources))).toMatchObject(sources)
  })

  test('an embedded key falls back to the host’s trusted keys', () => {
    const text =
      'Types: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n abc'
    expect(deb822(text)).toMatchObject([{ signedBy: null }])
  })
})

test('proxies are taken from the host’s apt settings, hooks and weakened checks are not', () => {
  const dump = [
    'Acquire::http::Proxy "http://proxy.example:3128";',
    'Acquire::Retries "3";',
    'Acquire::https::Verify-Peer "false";',
    'Acquire::AllowInsecureRepositories "true";',
    'APT::Update::Post-Invoke:: "rm -rf /";',
    'Acquire::http::Proxy::mirror.example "DIRECT";',
    'Acquire::http "";',
  ].join('\n')
  expect(takenSettings(dump)).toEqual([
    'Acquire::http::Proxy "http://proxy.example:3128";',
    'Acquire::Retries "3";',
    'Acquire::http::Proxy::mirror.example "DIRECT";',
  ])
})
