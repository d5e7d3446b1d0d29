/** Requests for approval that wait at once; further ones are refused. */
export const MAX_PENDING = 64
/** Approvals given and not used up yet. */
export const MAX_GRANTED = 4096
/** Characters of the approver's own words in the record. */
export const MAX_APPROVER = 128
