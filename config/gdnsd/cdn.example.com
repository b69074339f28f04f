; The zone cdn.example.com: copy it to /etc/gdnsd/zones/cdn.example.com. DYNA asks gdnsd's plugin for A and AAAA records.

@         60 SOA   ns1 hostmaster ( 1 7200 1800 259200 60 )
@       3600 NS    ns1
@       3600 NS    ns2
ns1     3600 A     192.0.2.53
ns1     3600 AAAA  2001:db8::53
ns2     3600 A     198.51.100.53

; The TTL is how long resolvers may go on sending clients to an edge that is gone.
@         30 DYNA  multifo!edges
www       30 DYNA  multifo!edges
