// Plain data: what records, messages and the API are made of.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
