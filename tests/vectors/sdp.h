// The offers of real peers: one audio and one video track that send and receive, and a data
// channel.
#pragma once

#include <string_view>

namespace turnpike::vectors {

inline constexpr std::string_view kChromiumOffer = R"sdp(v=0
o=- 5040104539032638429 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS 1b470461-b7b2-4076-9d58-da52881e736c 387e278e-ed35-4119-a6c8-c394f0f1b644
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:LXLC
a=ice-pwd:N5IXzmmbrazNgfrDCWG30ztd
a=ice-options:trickle
a=fingerprint:sha-256 EA:C4:65:8F:8D:FB:A3:DB:51:FD:CD:1A:6A:0C:23:0C:55:35:C0:7A:B4:FB:B3:4D:2E:D9:C4:8C:06:6C:45:AE
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:1b470461-b7b2-4076-9d58-da52881e736c 5ac80017-26cf-4483-bf26-75c0023344d1
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3689023558 cname:WbxC5LkIAzjxiiHr
a=ssrc:3689023558 msid:1b470461-b7b2-4076-9d58-da52881e736c 5ac80017-26cf-4483-bf26-75c0023344d1
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 107 108 109 114 115 116 117 39 40 45 46 98 99 100 101 118 119 120
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:LXLC
a=ice-pwd:N5IXzmmbrazNgfrDCWG30ztd
a=ice-options:trickle
a=fingerprint:sha-256 EA:C4:65:8F:8D:FB:A3:DB:51:FD:CD:1A:6A:0C:23:0C:55:35:C0:7A:B4:FB:B3:4D:2E:D9:C4:8C:06:6C:45:AE
a=setup:actpass
a=mid:1
a=extmap:14 urn:ietf:params:rtp-hdrext:toffset
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:13 urn:3gpp:video-orientation
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:6 http://www.webrtc.org/experiments/rtp-hdrext/video-content-type
a=extmap:7 http://www.webrtc.org/experiments/rtp-hdrext/video-timing
a=extmap:8 http://www.webrtc.org/experiments/rtp-hdrext/color-space
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=sendrecv
a=msid:387e278e-ed35-4119-a6c8-c394f0f1b644 2f867a85-24a2-4b9b-9c5b-11b6e964c326
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=rtcp-fb:102 goog-remb
a=rtcp-fb:102 transport-cc
a=rtcp-fb:102 ccm fir
a=rtcp-fb:102 nack
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rtpmap:104 H264/90000
a=rtcp-fb:104 goog-remb
a=rtcp-fb:104 transport-cc
a=rtcp-fb:104 ccm fir
a=rtcp-fb:104 nack
a=rtcp-fb:104 nack pli
a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f
a=rtpmap:107 rtx/90000
a=fmtp:107 apt=104
a=rtpmap:108 H264/90000
a=rtcp-fb:108 goog-remb
a=rtcp-fb:108 transport-cc
a=rtcp-fb:108 ccm fir
a=rtcp-fb:108 nack
a=rtcp-fb:108 nack pli
a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:109 rtx/90000
a=fmtp:109 apt=108
a=rtpmap:114 H264/90000
a=rtcp-fb:114 goog-remb
a=rtcp-fb:114 transport-cc
a=rtcp-fb:114 ccm fir
a=rtcp-fb:114 nack
a=rtcp-fb:114 nack pli
a=fmtp:114 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f
a=rtpmap:115 rtx/90000
a=fmtp:115 apt=114
a=rtpmap:116 H264/90000
a=rtcp-fb:116 goog-remb
a=rtcp-fb:116 transport-cc
a=rtcp-fb:116 ccm fir
a=rtcp-fb:116 nack
a=rtcp-fb:116 nack pli
a=fmtp:116 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f
a=rtpmap:117 rtx/90000
a=fmtp:117 apt=116
a=rtpmap:39 H264/90000
a=rtcp-fb:39 goog-remb
a=rtcp-fb:39 transport-cc
a=rtcp-fb:39 ccm fir
a=rtcp-fb:39 nack
a=rtcp-fb:39 nack pli
a=fmtp:39 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f
a=rtpmap:40 rtx/90000
a=fmtp:40 apt=39
a=rtpmap:45 AV1/90000
a=rtcp-fb:45 goog-remb
a=rtcp-fb:45 transport-cc
a=rtcp-fb:45 ccm fir
a=rtcp-fb:45 nack
a=rtcp-fb:45 nack pli
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:46 rtx/90000
a=fmtp:46 apt=45
a=rtpmap:98 VP9/90000
a=rtcp-fb:98 goog-remb
a=rtcp-fb:98 transport-cc
a=rtcp-fb:98 ccm fir
a=rtcp-fb:98 nack
a=rtcp-fb:98 nack pli
a=fmtp:98 profile-id=0
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=rtpmap:100 VP9/90000
a=rtcp-fb:100 goog-remb
a=rtcp-fb:100 transport-cc
a=rtcp-fb:100 ccm fir
a=rtcp-fb:100 nack
a=rtcp-fb:100 nack pli
a=fmtp:100 profile-id=2
a=rtpmap:101 rtx/90000
a=fmtp:101 apt=100
a=rtpmap:118 red/90000
a=rtpmap:119 rtx/90000
a=fmtp:119 apt=118
a=rtpmap:120 ulpfec/90000
a=ssrc-group:FID 3134833962 1264930998
a=ssrc:3134833962 cname:WbxC5LkIAzjxiiHr
a=ssrc:3134833962 msid:387e278e-ed35-4119-a6c8-c394f0f1b644 2f867a85-24a2-4b9b-9c5b-11b6e964c326
a=ssrc:1264930998 cname:WbxC5LkIAzjxiiHr
a=ssrc:1264930998 msid:387e278e-ed35-4119-a6c8-c394f0f1b644 2f867a85-24a2-4b9b-9c5b-11b6e964c326
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:LXLC
a=ice-pwd:N5IXzmmbrazNgfrDCWG30ztd
a=ice-options:trickle
a=fingerprint:sha-256 EA:C4:65:8F:8D:FB:A3:DB:51:FD:CD:1A:6A:0C:23:0C:55:35:C0:7A:B4:FB:B3:4D:2E:D9:C4:8C:06:6C:45:AE
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
)sdp";

inline constexpr std::string_view kFirefoxOffer = R"sdp(v=0
o=mozilla...THIS_IS_SDPARTA-99.0 4145432922629979266 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 40:FF:C0:7F:6A:07:04:41:54:78:E5:43:B4:64:26:6E:9E:03:06:D0:39:32:EE:0D:9E:DB:A0:B3:64:8A:54:7E
a=group:BUNDLE 0 1 2
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122187007 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 58127 typ host
a=candidate:1 1 UDP 2122252543 2a92f230-155f-4f49-b788-c43adabea07c.local 47259 typ host
a=candidate:2 1 TCP 2105458943 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 9 typ host tcptype active
a=candidate:3 1 TCP 2105524479 2a92f230-155f-4f49-b788-c43adabea07c.local 9 typ host tcptype active
a=candidate:0 2 UDP 2122187006 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 36538 typ host
a=candidate:1 2 UDP 2122252542 2a92f230-155f-4f49-b788-c43adabea07c.local 32877 typ host
a=candidate:2 2 TCP 2105458942 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 9 typ host tcptype active
a=candidate:3 2 TCP 2105524478 2a92f230-155f-4f49-b788-c43adabea07c.local 9 typ host tcptype active
a=sendrecv
a=end-of-candidates
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap-allow-mixed
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:c78a6c4b9725c39284a109c84ab32faf
a=ice-ufrag:af2f3470
a=mid:0
a=msid:{483dde03-8822-481f-a6f0-469f855b33be} {dee1ae05-b149-4df0-be95-73344e111921}
a=rtcp:36538 IN IP4 2698dff2-f054-4b62-b81f-2d3339bce0c3.local
a=rtcp-fb:109 transport-cc
a=rtcp-fb:9 transport-cc
a=rtcp-fb:0 transport-cc
a=rtcp-fb:8 transport-cc
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
a=ssrc:3648595885 cname:{a30d38bb-27d8-46fa-8174-4f7f315caa3f}
m=video 9 UDP/TLS/RTP/SAVPF 120 124 121 125 99 100 123 122 119
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122187007 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 48459 typ host
a=candidate:1 1 UDP 2122252543 2a92f230-155f-4f49-b788-c43adabea07c.local 40487 typ host
a=candidate:2 1 TCP 2105458943 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 9 typ host tcptype active
a=candidate:3 1 TCP 2105524479 2a92f230-155f-4f49-b788-c43adabea07c.local 9 typ host tcptype active
a=candidate:0 2 UDP 2122187006 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 36679 typ host
a=candidate:1 2 UDP 2122252542 2a92f230-155f-4f49-b788-c43adabea07c.local 50103 typ host
a=candidate:2 2 TCP 2105458942 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 9 typ host tcptype active
a=candidate:3 2 TCP 2105524478 2a92f230-155f-4f49-b788-c43adabea07c.local 9 typ host tcptype active
a=sendrecv
a=end-of-candidates
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:5 urn:ietf:params:rtp-hdrext:toffset
a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap-allow-mixed
a=fmtp:120 max-fs=12288;max-fr=60
a=fmtp:124 apt=120
a=fmtp:121 max-fs=12288;max-fr=60
a=fmtp:125 apt=121
a=fmtp:100 apt=99
a=fmtp:119 apt=122
a=ice-pwd:c78a6c4b9725c39284a109c84ab32faf
a=ice-ufrag:af2f3470
a=mid:1
a=msid:{a8d3cb6e-a58d-41d6-bf80-f6dcb8f49cb7} {bb8c95db-b54b-4600-bfeb-127942434b3d}
a=rtcp:36679 IN IP4 2698dff2-f054-4b62-b81f-2d3339bce0c3.local
a=rtcp-fb:120 nack
a=rtcp-fb:120 nack pli
a=rtcp-fb:120 ccm fir
a=rtcp-fb:120 goog-remb
a=rtcp-fb:120 transport-cc
a=rtcp-fb:121 nack
a=rtcp-fb:121 nack pli
a=rtcp-fb:121 ccm fir
a=rtcp-fb:121 goog-remb
a=rtcp-fb:121 transport-cc
a=rtcp-fb:99 nack
a=rtcp-fb:99 nack pli
a=rtcp-fb:99 ccm fir
a=rtcp-fb:99 goog-remb
a=rtcp-fb:99 transport-cc
a=rtcp-fb:123 nack
a=rtcp-fb:123 nack pli
a=rtcp-fb:123 ccm fir
a=rtcp-fb:123 goog-remb
a=rtcp-fb:123 transport-cc
a=rtcp-fb:122 nack
a=rtcp-fb:122 nack pli
a=rtcp-fb:122 ccm fir
a=rtcp-fb:122 goog-remb
a=rtcp-fb:122 transport-cc
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:120 VP8/90000
a=rtpmap:124 rtx/90000
a=rtpmap:121 VP9/90000
a=rtpmap:125 rtx/90000
a=rtpmap:99 AV1/90000
a=rtpmap:100 rtx/90000
a=rtpmap:123 ulpfec/90000
a=rtpmap:122 red/90000
a=rtpmap:119 rtx/90000
a=setup:actpass
a=ssrc:1687468789 cname:{a30d38bb-27d8-46fa-8174-4f7f315caa3f}
a=ssrc:3437889148 cname:{a30d38bb-27d8-46fa-8174-4f7f315caa3f}
a=ssrc-group:FID 1687468789 3437889148
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122187007 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 53771 typ host
a=candidate:1 1 UDP 2122252543 2a92f230-155f-4f49-b788-c43adabea07c.local 35639 typ host
a=candidate:2 1 TCP 2105458943 2698dff2-f054-4b62-b81f-2d3339bce0c3.local 9 typ host tcptype active
a=candidate:3 1 TCP 2105524479 2a92f230-155f-4f49-b788-c43adabea07c.local 9 typ host tcptype active
a=sendrecv
a=end-of-candidates
a=ice-pwd:c78a6c4b9725c39284a109c84ab32faf
a=ice-ufrag:af2f3470
a=mid:2
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
)sdp";

inline constexpr std::string_view kAiortcOffer = R"sdp(v=0
o=- 4004257850 4004257850 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=msid-semantic:WMS *
m=audio 37542 UDP/TLS/RTP/SAVPF 96 0 8
c=IN IP4 192.0.2.2
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=mid:0
a=msid:9526ce31-ea77-4059-8e2e-0fb9f1ce9aee 5bfcfc71-55d0-4605-a365-e4781d5a9257
a=rtcp:9 IN IP4 0.0.0.0
a=rtcp-mux
a=ssrc:1067247260 cname:784901f8-10bd-4297-8aec-c457d9f5d579
a=rtpmap:96 opus/48000/2
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 37542 typ host
a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 32795 typ host
a=end-of-candidates
a=ice-ufrag:9F7W
a=ice-pwd:BMAwBDplaGlPnFBw9ZZO3H
a=fingerprint:sha-256 25:BE:70:CC:75:91:0B:8F:D1:DF:10:CA:3E:CC:EC:44:0F:C6:29:FA:56:9D:CC:FD:70:A2:21:8C:E4:1B:28:D1
a=setup:actpass
m=video 43002 UDP/TLS/RTP/SAVPF 97 98 99 100 101 102
c=IN IP4 192.0.2.2
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=mid:1
a=msid:9526ce31-ea77-4059-8e2e-0fb9f1ce9aee 72f75b5c-e6ce-4fc5-b636-f17c86fcdf34
a=rtcp:9 IN IP4 0.0.0.0
a=rtcp-mux
a=ssrc-group:FID 2725141291 1768597052
a=ssrc:2725141291 cname:784901f8-10bd-4297-8aec-c457d9f5d579
a=ssrc:1768597052 cname:784901f8-10bd-4297-8aec-c457d9f5d579
a=rtpmap:97 VP8/90000
a=rtcp-fb:97 nack
a=rtcp-fb:97 nack pli
a=rtcp-fb:97 goog-remb
a=rtpmap:98 rtx/90000
a=fmtp:98 apt=97
a=rtpmap:99 H264/90000
a=rtcp-fb:99 nack
a=rtcp-fb:99 nack pli
a=rtcp-fb:99 goog-remb
a=fmtp:99 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:100 rtx/90000
a=fmtp:100 apt=99
a=rtpmap:101 H264/90000
a=rtcp-fb:101 nack
a=rtcp-fb:101 nack pli
a=rtcp-fb:101 goog-remb
a=fmtp:101 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:102 rtx/90000
a=fmtp:102 apt=101
a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 43002 typ host
a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 40126 typ host
a=end-of-candidates
a=ice-ufrag:Il1u
a=ice-pwd:hvFsymqQBn0CzgKAD4ejls
a=fingerprint:sha-256 25:BE:70:CC:75:91:0B:8F:D1:DF:10:CA:3E:CC:EC:44:0F:C6:29:FA:56:9D:CC:FD:70:A2:21:8C:E4:1B:28:D1
a=setup:actpass
m=application 60978 DTLS/SCTP 5000
c=IN IP4 192.0.2.2
a=mid:2
a=sctpmap:5000 webrtc-datachannel 65535
a=max-message-size:65536
a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 60978 typ host
a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 45578 typ host
a=end-of-candidates
a=ice-ufrag:r7JA
a=ice-pwd:abcR1tBowB2cTE2h47Z1lu
a=fingerprint:sha-256 25:BE:70:CC:75:91:0B:8F:D1:DF:10:CA:3E:CC:EC:44:0F:C6:29:FA:56:9D:CC:FD:70:A2:21:8C:E4:1B:28:D1
a=setup:actpass
)sdp";

}  // namespace turnpike::vectors
