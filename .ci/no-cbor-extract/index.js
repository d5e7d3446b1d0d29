throw new Error('cbor-extract is overridden away: its native addon aborts Bun')
