/** What the benchmark uses of two packages that come without types. */
declare module 'macaroon' {
  interface Macaroon {
    readonly signature: Uint8Array
    addFirstPartyCaveat(caveat: string): void
    exportBinary(): Uint8Array
    /** Throws when it is refused. */
    verify(key: Uint8Array, check: (caveat: string) => string | null, discharges: readonly Macaroon[]): void
  }
  const macaroon: {
    newMacaroon(of: { version: 2; rootKey: Uint8Array; identifier: string; location: string }): Macaroon
    importMacaroon(bytes: Uint8Array): Macaroon
  }
  export default macaroon
}

declare module 'macaroons.js' {
  interface Macaroon {
    serialize(): string
  }
  interface Builder {
    add_first_party_caveat(caveat: string): Builder
    getMacaroon(): Macaroon
  }
  interface Verifier {
    satisfyGeneral(holds: (caveat: string) => boolean): void
    isValid(key: Uint8Array): boolean
  }
  const macaroons: {
    MacaroonsBuilder: { new (location: string, key: Uint8Array, identifier: string): Builder; deserialize(text: string): Macaroon }
    MacaroonsVerifier: new (macaroon: Macaroon) => Verifier
  }
  export default macaroons
}
