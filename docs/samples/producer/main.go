// Sends one payment: go run . BROKERS TOPIC TRANSACTION_ID CUSTOMER_ID AMOUNT.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Transaction is one payment; ../../schemas/transaction.json describes it.
type Transaction struct {
	TransactionID    string    `json:"transaction_id"`
	EventTime        time.Time `json:"event_time"`
	CustomerID       string    `json:"customer_id"`
	Amount           float64   `json:"amount"`
	Currency         string    `json:"currency,omitempty"`
	MerchantID       string    `json:"merchant_id,omitempty"`
	MerchantCategory string    `json:"merchant_category,omitempty"`
	Country          string    `json:"country,omitempty"`
	Channel          string    `json:"channel,omitempty"`
}

func main() {
	if err := send(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func send(arguments []string) error {
	if len(arguments) != 5 {
		return fmt.Errorf("need BROKERS TOPIC TRANSACTION_ID CUSTOMER_ID AMOUNT, got %d arguments", len(arguments))
	}
	amount, err := strconv.ParseFloat(arguments[4], 64)
	if err != nil {
		return err
	}
	value, err := json.Marshal(Transaction{
		arguments[2], time.Now().UTC(), arguments[3], amount, "EUR", "m-0001", "groceries", "NL", "chip",
	})
	if err != nil {
		return err
	}
	// Writes are idempotent and wait for all replicas unless told otherwise; the partition is Murmur2 of the key.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(arguments[0], ",")...))
	if err != nil {
		return err
	}
	defer client.Close()
	record := &kgo.Record{
		Topic: arguments[1],
		Key:   []byte(arguments[3]),
		Value: value,
		Headers: []kgo.RecordHeader{
			{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")},
		},
	}
	placed, err := client.ProduceSync(context.Background(), record).First()
	if err != nil {
		return err
	}
	fmt.Printf("%d/%d\n", placed.Partition, placed.Offset)
	return nil
}
