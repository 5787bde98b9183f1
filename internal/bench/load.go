package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belay-dev/belay/internal/protocol"
)

// crowd is many delegates that do nothing but be there: each registers, sends a heartbeat every ten seconds and keeps a
// poll open over a connection of its own. Registrations and heartbeats share a few connections, so that ten thousand
// delegates fit under a limit of twenty thousand open files. It is written from the protocol, not with our agent.
type crowd struct {
	url, account, authorization string
	tls                         *tls.Config
	shared                      *http.Client
	parked                      atomic.Int64 // polls that are open now
	failures                    atomic.Int64
	stop                        context.CancelFunc
	running                     sync.WaitGroup
}

// claims are encrypted with the token as clients of the protocol do: JWE, dir, A128GCM.
func claims(token, account string) (string, error) {
	key, err := hex.DecodeString(token)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	header := b64([]byte(`{"alg":"dir","enc":"A128GCM","typ":"JWT"}`))
	now := time.Now()
	plain, err := json.Marshal(protocol.Claims{Audience: []string{"audience"}, Issuer: "issuer", Subject: account, Issued: now.Unix(), Expires: now.Add(20 * time.Minute).Unix(), ID: rand.Text()})
	if err != nil {
		return "", err
	}
	iv := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(iv)
	sealed := gcm.Seal(nil, iv, plain, []byte(header))
	cut := len(sealed) - gcm.Overhead()
	return header + ".." + b64(iv) + "." + b64(sealed[:cut]) + "." + b64(sealed[cut:]), nil
}

// gather brings a crowd of count delegates and returns when all are parked.
func (b *bench) gather(ctx context.Context, url, account, token string, count int) (*crowd, error) {
	jwe, err := claims(token, account)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	c := &crowd{url: url, account: account, authorization: protocol.AuthScheme + jwe, stop: stop}
	if c.tls, err = b.trust(); err != nil {
		stop()
		return nil, err
	}
	const together = 64
	c.shared = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: c.tls, MaxConnsPerHost: together, MaxIdleConnsPerHost: together}}
	starting := make(chan struct{}, together)
	for i := range count {
		c.running.Go(func() {
			starting <- struct{}{}
			id, err := c.register(ctx, i)
			<-starting
			if err != nil {
				c.failures.Add(1)
				return
			}
			c.live(ctx, i, id)
		})
	}
	deadline := time.Now().Add(5 * time.Minute)
	for c.parked.Load() < int64(count) {
		if failures := c.failures.Load(); failures > 0 || time.Now().After(deadline) {
			c.leave()
			return nil, fmt.Errorf("%d of %d delegates are parked, %d failed", c.parked.Load(), count, failures)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return c, nil
}

func (b *bench) trust() (*tls.Config, error) {
	text, err := os.ReadFile(filepath.Join(b.folder, "cert.pem"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // plain HTTP
	}
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

func (c *crowd) leave() { c.stop(); c.running.Wait() }

func (c *crowd) register(ctx context.Context, i int) (string, error) {
	var answer protocol.Registered
	for try := 0; ; try++ {
		err := c.do(ctx, c.shared, http.MethodPost, protocol.PathRegister, c.registration(i, ""), &answer)
		if err == nil {
			return answer.Resource.DelegateID, nil
		}
		if try == 30 || ctx.Err() != nil {
			return "", err
		}
		time.Sleep(time.Duration(100+10*try) * time.Millisecond)
	}
}

func (c *crowd) registration(i int, id string) protocol.Registration {
	return protocol.Registration{
		AccountID: c.account, DelegateName: fmt.Sprintf("crowd-%d", i), DelegateID: id, DelegateType: "DOCKER", NG: true, HostName: fmt.Sprintf("host-%d", i),
		LastHeartbeat: time.Now().UnixMilli(), Tags: []string{"crowd"}, SupportedTaskTypes: []string{protocol.TypePing}, Idle: true, Version: "26.11.90000", PollingModeEnabled: true,
	}
}

func (c *crowd) live(ctx context.Context, i int, id string) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: c.tls, MaxIdleConnsPerHost: 1, IdleConnTimeout: 5 * time.Minute, ReadBufferSize: 1024, WriteBufferSize: 1024,
	}}
	c.running.Go(func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := c.do(ctx, c.shared, http.MethodPost, protocol.PathHeartbeat, c.registration(i, id), nil); err != nil && ctx.Err() == nil {
				c.failures.Add(1)
			}
		}
	})
	for ctx.Err() == nil {
		c.parked.Add(1)
		err := c.do(ctx, client, http.MethodGet, "/api/agent/delegates/"+id+"/task-events", nil, nil)
		c.parked.Add(-1)
		if err != nil && ctx.Err() == nil {
			c.failures.Add(1)
			time.Sleep(time.Second)
		}
	}
}

func (c *crowd) do(ctx context.Context, client *http.Client, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path+"?accountId="+c.account, reader)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", c.authorization)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
