// A call of two pion peer connections that may use only the relay: a data channel opens, and every
// message comes back in capitals. Built by test_pion.py from Debian's golang packages.
//
//	pion-call URL USERNAME PASSWORD
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pion/webrtc/v3"
)

const (
	messages = 20
	limit    = 40 * time.Second
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func connection(url, username, password string) *webrtc.PeerConnection {
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	settings.SetICETimeouts(20*time.Second, 20*time.Second, time.Second)
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	connection, err := api.NewPeerConnection(webrtc.Configuration{
		ICEServers: []webrtc.ICEServer{{
			URLs: []string{url}, Username: username, Credential: password,
		}},
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
	})
	check(err)
	return connection
}

// describe sets the local description and waits for all of its candidates.
func describe(side *webrtc.PeerConnection, description webrtc.SessionDescription) {
	gathered := webrtc.GatheringCompletePromise(side)
	check(side.SetLocalDescription(description))
	<-gathered
	for _, line := range strings.Split(side.LocalDescription().SDP, "\r\n") {
		if strings.HasPrefix(line, "a=candidate") && !strings.Contains(line, " typ relay") {
			check(fmt.Errorf("not a relayed candidate: %s", line))
		}
	}
}

func main() {
	if len(os.Args) != 4 {
		check(fmt.Errorf("usage: pion-call URL USERNAME PASSWORD"))
	}
	caller := connection(os.Args[1], os.Args[2], os.Args[3])
	callee := connection(os.Args[1], os.Args[2], os.Args[3])
	callee.OnDataChannel(func(channel *webrtc.DataChannel) {
		channel.OnMessage(func(message webrtc.DataChannelMessage) {
			check(channel.SendText(strings.ToUpper(string(message.Data))))
		})
	})
	echoed := make(chan string, messages)
	channel, err := caller.CreateDataChannel("words", nil)
	check(err)
	channel.OnOpen(func() {
		for i := 0; i < messages; i++ {
			check(channel.SendText(fmt.Sprintf("message %d", i)))
		}
	})
	channel.OnMessage(func(message webrtc.DataChannelMessage) { echoed <- string(message.Data) })

	offer, err := caller.CreateOffer(nil)
	check(err)
	describe(caller, offer)
	check(callee.SetRemoteDescription(*caller.LocalDescription()))
	answer, err := callee.CreateAnswer(nil)
	check(err)
	describe(callee, answer)
	check(caller.SetRemoteDescription(*callee.LocalDescription()))

	expired := time.After(limit)
	for i := 0; i < messages; i++ {
		select {
		case text := <-echoed:
			if text != fmt.Sprintf("MESSAGE %d", i) {
				check(fmt.Errorf("message %d came back as %q", i, text))
			}
		case <-expired:
			check(fmt.Errorf("%d of %d messages came back within %v", i, messages, limit))
		}
	}
	check(caller.Close())
	check(callee.Close())
	fmt.Println("every message came back")
}
